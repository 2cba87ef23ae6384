// A site with docs, a pricing page and an app in Chromium, by npm @segment/analytics-next as it comes; its server reports by npm
// @segment/analytics-node. Seven people read, sign up and buy; one line of JSON for each says what is known of them.
// node site.cjs <url> <write key>
const fs = require('node:fs')
const http = require('node:http')
const { chromium } = require('playwright-core')
const { Analytics } = require('@segment/analytics-node')

const [url, writeKey] = process.argv.slice(2)
// A headless browser is a bot, unless it says that it is another.
const PERSON = 'Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36'
const umd = require.resolve('@segment/analytics-next/package.json').replace(/package\.json$/, 'dist/umd/')
const titles = { '/docs': 'Docs', '/pricing': 'Pricing', '/app': 'App' }
const page = (title) => `<!doctype html><title>${title}</title><script src="/index.js"></script><script type="module">
  const { AnalyticsBrowser } = window.AnalyticsNext
  const segment = { apiKey: '${writeKey}', apiHost: '${url.replace('http://', '')}/v1', protocol: 'http' }
  const [analytics] = await AnalyticsBrowser.load({ writeKey: '${writeKey}', cdnSettings: { integrations: { 'Segment.io': segment } } })
  await analytics.page('${title}')
  window.analytics = analytics
</script>`

// Whoever has free mail is of the company that the group call names.
const people = [
  ['ada', 'ada@acme.com', 'acme.com'], ['bob', 'bob@bletchley.org', 'bletchley.org'], ['carl', 'carl@initech.com', 'initech.com'],
  ['dora', 'dora@umbrella.de', 'umbrella.de'], ['eve', 'eve@gmail.com', 'hooli.com'], ['finn', 'finn@globex.fi', 'globex.fi'],
  ['gail', 'gail@stark.io', 'stark.io'],
].map(([name, email, company]) => ({ name, email, company, user_id: `u-${name}`, anonymous_ids: [], pages: [], events: [] }))
const [ada, , carl, dora] = people

async function main() {
  const server = http.createServer((request, response) => {
    const path = new URL(request.url, 'http://localhost').pathname
    if (titles[path]) return response.setHeader('content-type', 'text/html').end(page(titles[path]))
    const file = umd + path.slice(1)
    return fs.existsSync(file) ? response.setHeader('content-type', 'text/javascript').end(fs.readFileSync(file)) : response.writeHead(404).end()
  })
  await new Promise((listening) => server.listen(0, 'localhost', listening))
  const site = `http://localhost:${server.address().port}`
  const browser = await chromium.launch({ executablePath: process.env.CHROMIUM || '/usr/bin/chromium', args: ['--no-sandbox'] })
  const problems = []

  async function device() {
    const tab = await (await browser.newContext({ userAgent: PERSON })).newPage()
    tab.on('pageerror', (error) => problems.push(`${error}`))
    tab.on('response', (response) => {
      if (response.url().startsWith(url) && response.status() >= 400) problems.push(`${response.status()} ${response.url()}`)
    })
    return tab
  }
  /** Whose browser it is has to be known to whoever tests it, and not to the site. */
  async function visit(tab, person, path) {
    await tab.goto(site + path)
    await tab.waitForFunction(() => window.analytics)
    person.pages.push(titles[path])
    await note(tab, person)
  }
  async function note(tab, person) {
    const id = await tab.evaluate(() => window.analytics.user().anonymousId())
    if (!person.anonymous_ids.includes(id)) person.anonymous_ids.push(id)
  }
  async function logIn(tab, person, event) {
    await tab.evaluate(async ([person, event]) => {
      await window.analytics.identify(person.user_id, { email: person.email, name: person.name, plan: 'team' })
      await window.analytics.group(`g-${person.company}`, { name: person.company.split('.')[0], domain: person.company })
      await window.analytics.track(event, { seats: 5 })
    }, [person, event])
    person.events.push(event)
    await note(tab, person)
  }

  for (const person of people.filter((person) => person !== dora)) {
    const tab = await device()
    await visit(tab, person, '/docs')
    await visit(tab, person, '/pricing')
    await logIn(tab, person, 'Signed Up')
    await visit(tab, person, '/app')
    if (person === ada) {
      const other = await device()
      await visit(other, ada, '/pricing')
      await logIn(other, ada, 'Logged In')
      await other.waitForTimeout(300)
    }
    if (person === carl) {
      // She takes his place at the same browser; nobody resets it.
      await logIn(tab, dora, 'Signed Up')
      await visit(tab, dora, '/app')
    }
    await tab.waitForTimeout(300)
    await tab.context().close()
  }
  await browser.close()
  server.close()

  const backend = new Analytics({ host: url, writeKey })
  backend.on('error', (error) => problems.push(`${error}`))
  for (const person of people) {
    backend.track({ userId: person.user_id, event: 'Invoice Paid', properties: { total: 99 } })
    person.events.push('Invoice Paid')
  }
  await backend.closeAndFlush({ timeout: 20000 })
  if (problems.length) throw new Error(problems.join('\n'))
  for (const person of people) console.log(JSON.stringify(person))
}
main().catch((error) => {
  console.error(error)
  process.exit(1)
})
