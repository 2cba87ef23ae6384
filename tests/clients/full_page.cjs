// The page of a set with a million events in Chromium: every place opens, and one event more appears without a reload. A picture
// goes to target/screenshots. node full_page.cjs <url> <public api key>
const assert = require('node:assert')
const path = require('node:path')
const { chromium } = require('playwright-core')

const [url, key] = process.argv.slice(2)

async function main() {
  const browser = await chromium.launch({ executablePath: process.env.CHROMIUM || '/usr/bin/chromium', args: ['--no-sandbox'] })
  const tab = await browser.newPage({ viewport: { width: 1100, height: 700 } })
  const problems = []
  tab.on('pageerror', (error) => problems.push(`${error}`))

  await tab.goto(url)
  assert.strictEqual(await tab.locator('svg.sparkline').count(), 50)
  await tab.screenshot({ path: path.join(__dirname, '../../target/screenshots/full.png') })
  await tab.getByRole('link', { name: 'next' }).click()
  await tab.getByRole('link', { name: 'previous' }).waitFor()
  await tab.locator('tbody a').first().click()
  await tab.getByRole('heading', { name: 'People' }).waitFor()
  await tab.getByRole('link', { name: /^visitor-/ }).first().click()
  await tab.getByText('Timeline').waitFor()
  assert.strictEqual(await tab.locator('table.timeline tr:not(.gap)').count(), 20)

  await tab.goto(`${url}/visitors?event=viewed+pricing&who=known`)
  await tab.getByText('more than 1000 visitors').waitFor()
  await tab.getByRole('searchbox').fill('visitor-77@')
  await tab.keyboard.press('Enter')
  await tab.getByText('1 visitor', { exact: true }).waitFor()

  await tab.goto(`${url}/visitors`)
  await tab.evaluate(() => { window.sameDocument = true })
  const body = { email: 'late@comer.example', events: [{ type: 'track', event: 'Asked for a Demo', message_id: 'late-1', sent_at: new Date().toISOString() }] }
  const answer = await fetch(`${url}/web/projects/${key}/batch`, { method: 'POST', body: JSON.stringify(body) })
  assert.strictEqual(answer.status, 200)
  await tab.getByRole('link', { name: 'late@comer.example' }).waitFor()
  assert.strictEqual(await tab.evaluate(() => window.sameDocument), true)
  // The company too, as soon as the companies are ranked anew.
  await tab.goto(`${url}/companies/comer.example`)
  await tab.getByText('Asked for a demo: 1 person, last today').waitFor()
  await browser.close()
  assert.deepStrictEqual(problems, [])
}
main().catch((error) => {
  console.error(error)
  process.exit(1)
})
