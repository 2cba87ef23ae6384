// npm @segment/analytics-next in Chromium, on a page of localhost, pointed at a set: one event a request as it does without
// being told, in batches, and what `sendBeacon` sends. node browser.cjs <url> <write key>
const fs = require('node:fs')
const http = require('node:http')
const { chromium } = require('playwright-core')

const [url, writeKey] = process.argv.slice(2)
const PERSON = 'Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36'
const umd = require.resolve('@segment/analytics-next/package.json').replace(/package\.json$/, 'dist/umd/')
const page = (strategy) => `<!doctype html><title>A shop</title><script src="/index.js"></script><script type="module">
  const { AnalyticsBrowser } = window.AnalyticsNext
  const segment = { apiKey: '${writeKey}', apiHost: '${url.replace('http://', '')}/v1', protocol: 'http', deliveryStrategy: ${JSON.stringify(strategy)} }
  const [analytics] = await AnalyticsBrowser.load({ writeKey: '${writeKey}', cdnSettings: { integrations: { 'Segment.io': segment } } })
  window.analytics = analytics
</script>`
const pages = {
  '/single': page({}),
  '/batching': page({ strategy: 'batching', config: { size: 3, timeout: 500 } }),
}

async function main() {
  const server = http.createServer((request, response) => {
    const path = new URL(request.url, 'http://localhost').pathname
    if (pages[path]) return response.setHeader('content-type', 'text/html').end(pages[path])
    const file = umd + path.slice(1)
    return fs.existsSync(file) ? response.setHeader('content-type', 'text/javascript').end(fs.readFileSync(file)) : response.writeHead(404).end()
  })
  await new Promise((listening) => server.listen(0, 'localhost', listening))
  const browser = await chromium.launch({ executablePath: process.env.CHROMIUM || '/usr/bin/chromium', args: ['--no-sandbox'] })
  const problems = []
  for (const kind of Object.keys(pages)) {
    // A headless browser is a bot, unless it says that it is another.
    const tab = await browser.newPage({ userAgent: PERSON })
    tab.on('pageerror', (error) => problems.push(`${kind}: ${error}`))
    const answers = []
    tab.on('response', (response) => {
      if (!response.url().startsWith(url)) return
      answers.push(`${response.request().method()} ${response.status()}`)
      if (response.status() >= 400) problems.push(`${kind}: ${response.status()} ${response.url()}`)
    })
    tab.on('requestfailed', (request) => problems.push(`${kind}: ${request.failure()?.errorText} ${request.url()}`))
    await tab.goto(`http://localhost:${server.address().port}${kind}`)
    await tab.waitForFunction(() => window.analytics)
    await tab.evaluate(async (name) => {
      const email = `browser-${name}@example.com`
      await window.analytics.identify(`u-${name}`, { email })
      for (let n = 0; n < 5; n++) await window.analytics.track(`Browser ${name} ${n}`, { n, email })
    }, kind.slice(1))
    await tab.waitForTimeout(1500)
    if (kind === '/single') {
      const sent = await tab.evaluate(([url, writeKey]) => navigator.sendBeacon(`${url}/v1/track`, JSON.stringify({
        writeKey, event: 'Browser beacon', userId: 'u-single', messageId: 'browser-beacon', properties: { email: 'browser-single@example.com' },
      })), [url, writeKey])
      if (!sent) problems.push('the beacon was not sent')
    }
    await tab.waitForTimeout(300)
    await tab.close()
    console.log(kind, answers.join(', '))
  }
  await browser.close()
  server.close()
  if (problems.length) throw new Error(problems.join('\n'))
}
main().catch((error) => {
  console.error(error)
  process.exit(1)
})
