// A picture of the companies as Chromium shows them. node picture.cjs <url> <name>
const path = require('node:path')
const { chromium } = require('playwright-core')

const [url, name] = process.argv.slice(2)

async function main() {
  const browser = await chromium.launch({ executablePath: process.env.CHROMIUM || '/usr/bin/chromium', args: ['--no-sandbox'] })
  const tab = await browser.newPage({ viewport: { width: 1000, height: 530 } })
  await tab.goto(url)
  await tab.locator('svg.sparkline').first().waitFor()
  await tab.screenshot({ path: path.join(__dirname, `../../target/screenshots/${name}.png`) })
  await browser.close()
}
main().catch((error) => {
  console.error(error)
  process.exit(1)
})
