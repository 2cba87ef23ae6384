// Pictures of the page as Chromium shows it, for README: the companies and one of them, light and dark, in WebP, which is a quarter
// of PNG. node picture.cjs <url> <name of the company's page>
const fs = require('node:fs')
const path = require('node:path')
const { chromium } = require('playwright-core')

const [url, company] = process.argv.slice(2)
const pictures = path.join(__dirname, '../../target/screenshots')

async function main() {
  fs.mkdirSync(pictures, { recursive: true })
  const browser = await chromium.launch({ executablePath: process.env.CHROMIUM || '/usr/bin/chromium', args: ['--no-sandbox'] })
  for (const colorScheme of ['light', 'dark']) {
    const tab = await browser.newPage({ viewport: { width: 960, height: 770 }, colorScheme, locale: 'en-GB', timezoneId: 'UTC' })
    const devtools = await tab.context().newCDPSession(tab)
    const take = async (name, at) => {
      await tab.goto(url + at)
      await tab.locator('svg.sparkline').first().waitFor()
      const { data } = await devtools.send('Page.captureScreenshot', { format: 'webp', quality: 85 })
      fs.writeFileSync(path.join(pictures, `${name}${colorScheme === 'dark' ? '-dark' : ''}.webp`), Buffer.from(data, 'base64'))
    }
    await take('page', '/')
    await tab.setViewportSize({ width: 960, height: 860 })
    await take('company', `/companies/${company}`)
    await tab.close()
  }
  await browser.close()
}
main().catch((error) => {
  console.error(error)
  process.exit(1)
})
