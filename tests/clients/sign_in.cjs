// Signing in and out by keyboard in Chromium, light and dark, as wide as a desk and as a phone; also by plain HTTP under a name that is
// not this machine's. Pictures go to target/screenshots. node sign_in.cjs <url> <token>
const assert = require('node:assert')
const fs = require('node:fs')
const os = require('node:os')
const path = require('node:path')
const { chromium } = require('playwright-core')

const [url, token] = process.argv.slice(2)
const pictures = path.join(__dirname, '../../target/screenshots')
const far = new URL(url)
far.hostname = 'koala.test'

// What stands in the files of a browser's profile, its history among them.
function kept(folder) {
  const files = fs.readdirSync(folder, { recursive: true, withFileTypes: true }).filter((it) => it.isFile())
  return files.map((it) => path.join(it.parentPath ?? it.path, it.name)).filter((it) => /History|Visited|Sessions|Tabs|Favicons|Top Sites/.test(it))
}

async function signIn(tab, base, said) {
  await tab.goto(`${base}/visitors?q=ada`)
  assert.strictEqual(await tab.locator('h1').textContent(), 'Sign in', said)
  assert.strictEqual(await tab.locator('#main, nav').count(), 0, said)
  // The field has the focus; a wrong token is said, and nothing of it stays in the form.
  assert.strictEqual(await tab.evaluate(() => document.activeElement.id), 'token', said)
  assert.strictEqual(await tab.getByText('This page was loaded over plain HTTP').count(), base === far.origin ? 1 : 0, said)
  await tab.keyboard.type('not-the-token')
  await tab.keyboard.press('Enter')
  await tab.getByRole('alert').filter({ hasText: 'Invalid token' }).waitFor()
  assert.strictEqual(await tab.locator('#token').inputValue(), '')
  assert.strictEqual(await tab.locator('#token').getAttribute('aria-invalid'), 'true')
  const wide = await tab.evaluate(() => document.documentElement.scrollWidth > document.documentElement.clientWidth)
  assert.ok(!wide, `${said}: wider than the screen`)
  await tab.screenshot({ path: path.join(pictures, `sign-in-${said}.png`), fullPage: true })
  await tab.keyboard.type(token)
  await tab.keyboard.press('Tab')
  assert.strictEqual(await tab.evaluate(() => document.activeElement.textContent), 'Sign in', said)
  assert.notStrictEqual(await tab.evaluate(() => getComputedStyle(document.activeElement).outlineStyle), 'none', said)
  await tab.keyboard.press('Enter')
  await tab.waitForURL(`${base}/visitors?q=ada`)
  await tab.locator('h1', { hasText: 'Visitors' }).waitFor()
  await tab.screenshot({ path: path.join(pictures, `signed-in-${said}.png`), fullPage: true })
}

async function main() {
  fs.mkdirSync(pictures, { recursive: true })
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'koala-profile-'))
  for (const [width, height] of [[1100, 760], [390, 844]]) {
    for (const colorScheme of ['light', 'dark']) {
      const browser = await chromium.launchPersistentContext(folder, {
        executablePath: process.env.CHROMIUM || '/usr/bin/chromium',
        args: ['--no-sandbox', '--host-resolver-rules=MAP koala.test 127.0.0.1'],
        viewport: { width, height },
        colorScheme,
      })
      const tab = await browser.newPage()
      for (const base of width > 500 && colorScheme === 'light' ? [new URL(url).origin, far.origin] : [new URL(url).origin]) {
        const said = `${new URL(base).hostname === 'koala.test' ? 'plain-http-' : ''}${width}-${colorScheme}`
        await signIn(tab, base, said)
        const [cookie] = await browser.cookies(base)
        assert.ok(cookie.httpOnly && cookie.sameSite === 'Lax' && !cookie.value.includes(token), JSON.stringify(cookie))
        // A form of the page is taken as its own.
        await tab.goto(`${base}/install`)
        await tab.getByRole('button', { name: 'Send a test event' }).click()
        await tab.getByRole('status').or(tab.getByText('test event')).first().waitFor()
        assert.doesNotMatch(await tab.locator('body').textContent(), /only be sent from the page itself/)
        // Out again, by keyboard: the button is behind the links of the pages.
        await tab.goto(`${base}/`)
        for (let n = 0; n < 15 && await tab.evaluate(() => document.activeElement.textContent) !== 'Sign out'; n++) await tab.keyboard.press('Tab')
        await tab.keyboard.press('Enter')
        await tab.waitForURL(`${base}/sign-in`)
        await tab.goto(`${base}/`)
        await tab.locator('h1', { hasText: 'Sign in' }).waitFor()
      }
      // A page that is open when its session ends shows the way in.
      await signIn(tab, new URL(url).origin, `again-${width}-${colorScheme}`)
      await browser.clearCookies()
      await tab.evaluate(() => renew())
      await tab.locator('h1', { hasText: 'Sign in' }).waitFor()
      await browser.close()
    }
  }
  for (const file of kept(folder)) assert.ok(!fs.readFileSync(file).includes(token), `${file} has the token`)
  assert.ok(kept(folder).length > 0)
  fs.rmSync(folder, { recursive: true })
}
main().catch((error) => {
  console.error(error)
  process.exit(1)
})
