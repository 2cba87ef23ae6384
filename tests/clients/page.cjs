// The page of `koala up` in Chromium: what comes in appears without a reload, can be searched and opened, and never runs as
// script. Pictures go to target/screenshots. node page.cjs <url> <public api key>
const assert = require('node:assert')
const fs = require('node:fs')
const path = require('node:path')
const { chromium } = require('playwright-core')

const [url, key] = process.argv.slice(2)
const pictures = path.join(__dirname, '../../target/screenshots')
const hostile = '<script>window.hacked=1</script><img src=x onerror="window.hacked=1">"\'><b>'

async function collect(body) {
  const answer = await fetch(`${url}/web/projects/${key}/batch`, { method: 'POST', body: JSON.stringify(body) })
  assert.strictEqual(answer.status, 200, await answer.text())
}
const at = (minutes) => new Date(Date.now() - minutes * 60000).toISOString()
const event = (id, name, minutes, properties = {}) => ({ type: 'track', event: name, message_id: id, sent_at: at(minutes), properties })
const identify = (id, minutes, traits) => ({ type: 'identify', message_id: id, sent_at: at(minutes), traits })

async function main() {
  fs.mkdirSync(pictures, { recursive: true })
  const browser = await chromium.launch({ executablePath: process.env.CHROMIUM || '/usr/bin/chromium', args: ['--no-sandbox'] })
  const tab = await browser.newPage({ viewport: { width: 1100, height: 700 } })
  const problems = []
  tab.on('pageerror', (error) => problems.push(`${error}`))
  const picture = (name) => tab.screenshot({ path: path.join(pictures, `${name}.png`) })

  await tab.goto(url)
  await tab.getByText('No companies yet').waitFor()
  assert.strictEqual(await tab.locator('header strong').textContent(), 'Koala destination')
  await tab.evaluate(() => { window.sameDocument = true })
  for (const [n, [email, company]] of [['ada@acme.com', 'Acme'], ['grace@navy.example', 'Navy'], ['alan@bletchley.uk', 'Bletchley']].entries()) {
    await collect({
      email, identifies: [identify(`i-${n}`, 60, { name: email.split('@')[0], company: { name: company, domain: email.split('@')[1] } })],
      events: Array.from({ length: 20 }, (_, m) => event(`e-${n}-${m}`, m % 3 ? 'Page Viewed' : 'Viewed Pricing', 40 + (m * m * (n + 1) * 30) % 18000)),
    })
  }
  await collect({ email: 'mallory@evil.example.net', identifies: [identify('i-h', 1, { name: hostile, company: hostile, [hostile]: hostile })], events: [event('e-h', hostile, 1, { [hostile]: hostile })] })

  // It appears without a reload.
  await tab.getByRole('link', { name: 'Acme' }).waitFor()
  assert.strictEqual(await tab.evaluate(() => window.sameDocument), true)
  // The last of the four may come with the next look.
  await tab.getByRole('link', { name: '<script>' }).waitFor()
  assert.strictEqual(await tab.locator('svg.sparkline').count(), 4)
  await picture('companies')
  await tab.emulateMedia({ colorScheme: 'dark' })
  await picture('companies-dark')
  await tab.emulateMedia({ colorScheme: 'light' })

  // Ranked by intent: who did it lately has more points than who did the same long ago.
  await collect({ email: 'late@today.example', events: [event('e-late', 'Asked for Demo', 0)] })
  await collect({ email: 'early@past.example', events: [event('e-early', 'Asked for Demo', 90 * 24 * 60)] })
  await tab.getByRole('link', { name: 'past.example' }).waitFor()
  const ranked = await tab.locator('tbody tr td:first-child a').allTextContents()
  assert.ok(ranked.indexOf('today.example') < ranked.indexOf('past.example'), ranked)

  // Why a company is where it is, its people, and the timeline of one.
  await tab.getByRole('link', { name: 'Acme' }).click()
  await tab.waitForURL(/\/companies\/./)
  await tab.getByText('Looked at pricing: 1 person, last today').waitFor()
  await picture('company')
  await tab.getByRole('link', { name: 'ada' }).first().click()
  await tab.getByText('Viewed Pricing').first().waitFor()
  await picture('visitor')

  // By keyboard: the first stop leads past the navigation, and the focus is seen wherever it is.
  await tab.goto(url)
  await tab.keyboard.press('Tab')
  const focused = () => tab.evaluate(() => {
    const it = document.activeElement
    const { outlineStyle, outlineWidth } = getComputedStyle(it)
    return { text: it.textContent, isSeen: outlineStyle !== 'none' && parseFloat(outlineWidth) >= 2, box: it.getBoundingClientRect().toJSON() }
  })
  const first = await focused()
  assert.ok(first.text === 'Skip to content' && first.isSeen && first.box.left >= 0, JSON.stringify(first))
  await tab.keyboard.press('Enter')
  await tab.keyboard.press('Tab')
  assert.strictEqual(await tab.evaluate(() => document.activeElement.name), 'q')
  await tab.goto(url)
  for (const name of ['Skip to content', 'Companies', 'Visitors', 'Alerts', 'Deliveries', 'Mappings', 'Install']) {
    await tab.keyboard.press('Tab')
    const at = await focused()
    assert.ok(at.text === name && at.isSeen, `${name}: ${JSON.stringify(at)}`)
  }
  // What comes in meanwhile takes the focus from nobody.
  const link = tab.getByRole('link', { name: 'Acme' })
  await link.focus()
  await tab.evaluate(() => { document.activeElement.dataset.before = '' })
  await collect({ email: 'meanwhile@focus.example', events: [event('e-focus', 'Came in', 0)] })
  await tab.getByRole('link', { name: 'focus.example' }).waitFor()
  assert.strictEqual(await tab.locator('[data-before]').count(), 0, 'the list is another')
  assert.strictEqual((await focused()).text, 'Acme')

  // A test event is sent from the page, and arrives on it without a reload.
  await tab.getByRole('link', { name: 'Install' }).click()
  await tab.getByRole('button', { name: 'Send a test event' }).click()
  await tab.getByText('Arrived.').waitFor()
  await picture('install')
  await tab.getByRole('link', { name: 'Look at it' }).click()
  await tab.getByText('Koala Test Event').first().waitFor()
  // A time says its zone; the script has turned it into the reader's own.
  const shown = await (await fetch(tab.url())).text()
  assert.match(shown, /<time datetime="[^"]+">\d{4}-\d\d-\d\d \d\d:\d\d UTC<\/time>/)
  assert.ok(!(await tab.locator('time').first().textContent()).includes('UTC'))
  await tab.getByText('Times are in ').waitFor()

  // Search, by keyboard.
  await tab.getByRole('link', { name: 'Visitors', exact: true }).click()
  await tab.getByRole('searchbox').fill('bletchley')
  await tab.keyboard.press('Enter')
  await tab.getByText('1 visitor', { exact: true }).waitFor()
  await tab.getByRole('searchbox').fill('viewed pricing')
  await tab.keyboard.press('Enter')
  await tab.getByText('3 visitors').waitFor()
  await tab.getByRole('combobox', { name: 'Who' }).selectOption('anonymous')
  await tab.getByRole('button', { name: 'Search' }).click()
  await tab.getByText('No visitors match.').waitFor()

  await tab.goto(`${url}/visitors`)
  await tab.getByText('Filters', { exact: true }).click()
  await tab.getByLabel('Trait', { exact: true }).fill('name=Alan')
  await tab.getByLabel('From', { exact: true }).fill(at(20 * 24 * 60).slice(0, 10))
  await tab.keyboard.press('Enter')
  await tab.getByText('1 visitor', { exact: true }).waitFor()
  await tab.getByLabel('Trait', { exact: true }).fill('')
  await tab.getByLabel('Event', { exact: true }).fill('asked for demo')
  await tab.keyboard.press('Enter')
  await tab.getByRole('link', { name: 'late@today.example' }).waitFor()
  assert.strictEqual(await tab.getByRole('link', { name: 'early@past.example' }).count(), 0)
  await picture('visitors')

  // Each mapping with its trigger; an event can be tried, and nothing is sent.
  await tab.getByRole('link', { name: 'Mappings' }).click()
  await tab.locator('section', { hasText: 'track → Track Event' }).getByText('type = "track"', { exact: true }).waitFor()
  await tab.getByRole('button', { name: 'Try it' }).click()
  await tab.getByText('The collector would get:').waitFor()
  await collect({ email: 'while@trying.example', events: [event('e-while', 'Came in Meanwhile', 0)] })
  await tab.waitForTimeout(1500)
  assert.strictEqual(await tab.getByText('The collector would get:').count(), 1)
  await picture('mappings')
  await tab.getByRole('textbox').fill(JSON.stringify({ type: 'track', messageId: 'try-2', event: hostile, userId: 'u-1', properties: { [hostile]: hostile } }))
  await tab.getByRole('button', { name: 'Try it' }).click()
  await tab.getByText('onerror').first().waitFor()
  assert.strictEqual(await tab.evaluate(() => window.hacked), undefined)
  assert.strictEqual(await tab.locator('main script, main img').count(), 0)
  await tab.getByRole('textbox').fill('{')
  await tab.getByRole('button', { name: 'Try it' }).click()
  await tab.getByText('Rejected at intake').waitFor()

  // What hostile people send is text, wherever it is shown.
  await tab.goto(`${url}/visitors?q=mallory`)
  await tab.getByRole('link', { name: '<script>' }).first().click()
  await tab.getByText('onerror').first().waitFor()
  await tab.locator('details summary').first().click()
  await tab.getByRole('definition').getByRole('link').click()
  await tab.getByRole('heading', { name: 'People' }).waitFor()
  for (const place of ['/', '/install', '/visitors', '/visitors?q=' + encodeURIComponent(hostile), '/visitors?trait=' + encodeURIComponent(hostile), '/deliveries', '/mappings']) {
    await tab.goto(url + place)
    await tab.waitForTimeout(200)
    assert.strictEqual(await tab.evaluate(() => window.hacked), undefined, place)
    assert.strictEqual(await tab.locator('main script, main img').count(), 0, place)
  }
  // And if some of it got through, it would not run.
  const policy = (await tab.goto(url)).headers()['content-security-policy']
  assert.match(policy, /default-src 'none'; script-src 'self';/)

  // Dead letters are sent again by a button, and by no other site.
  await tab.goto(`${url}/deliveries`)
  await picture('deliveries')
  const forged = await fetch(`${url}/deliveries/redrive`, { method: 'POST', headers: { origin: 'http://evil.example', 'sec-fetch-site': 'cross-site' }, redirect: 'manual' })
  assert.strictEqual(forged.status, 403)
  assert.strictEqual((await fetch(`${url}/deliveries/redrive`, { method: 'POST', redirect: 'manual' })).status, 403)
  assert.strictEqual(await tab.locator('.counts div', { hasText: 'Dead letters' }).locator('dd').textContent(), '1')
  await tab.getByRole('button', { name: 'Retry dead letters' }).click()
  await tab.getByText('No dead letters: each accepted event was delivered').waitFor()

  // A person goes, with a receipt, by nobody's doing but the page's own.
  await tab.goto(`${url}/visitors?q=grace`)
  await tab.getByRole('link', { name: 'grace' }).click()
  const forgery = await fetch(`${tab.url()}/delete`, { method: 'POST', headers: { origin: 'http://evil.example', 'sec-fetch-site': 'cross-site' } })
  assert.strictEqual(forgery.status, 403)
  await tab.getByText('Delete this person').click()
  await tab.getByRole('button', { name: 'Delete permanently' }).click()
  await tab.getByText('Receipt').waitFor()
  await picture('deleted')
  for (const place of ['/', '/visitors', '/companies/navy.example']) {
    const shown = await (await fetch(url + place)).text()
    assert.ok(!shown.includes('grace') && !shown.includes('Navy'), place)
  }

  // Readable on a phone: nothing is wider than the screen.
  await tab.setViewportSize({ width: 360, height: 700 })
  for (const place of ['/', '/companies/acme.com', '/visitors', `/visitors?q=mallory`, '/deliveries', '/mappings', '/install']) {
    await tab.goto(url + place)
    const wide = await tab.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth)
    assert.ok(wide <= 0, `${place} is ${wide} px too wide`)
  }
  await tab.goto(url)
  await picture('phone')
  await browser.close()
  assert.deepStrictEqual(problems, [])
}
main().catch((error) => {
  console.error(error)
  process.exit(1)
})
