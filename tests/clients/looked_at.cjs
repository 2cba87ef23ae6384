// Every page of a set, light and dark, as wide as a desk and as a phone: nothing is wider than the screen, every text can be read
// and every edge of a control seen (WCAG 2.2 AA: 4.5 to 1, 3 to 1), every control has a name and shows its focus.
// Pictures go to target/screenshots. node looked_at.cjs <url> <name of the pictures>
const assert = require('node:assert')
const fs = require('node:fs')
const path = require('node:path')
const { chromium } = require('playwright-core')

const [url, name] = process.argv.slice(2)
const pictures = path.join(__dirname, '../../target/screenshots')

// In the page: the texts and the edges that have too little contrast to what is behind them.
function tooFaint() {
  const numbers = (color) => color.match(/[\d.]+/g).map(Number)
  const luminance = ([r, g, b]) => {
    const [R, G, B] = [r, g, b].map((c) => (c / 255 <= 0.04045 ? c / 255 / 12.92 : ((c / 255 + 0.055) / 1.055) ** 2.4))
    return 0.2126 * R + 0.7152 * G + 0.0722 * B
  }
  const contrast = (a, b) => {
    const [low, high] = [luminance(a), luminance(b)].sort((x, y) => x - y)
    return (high + 0.05) / (low + 0.05)
  }
  const behind = (it) => {
    for (; it; it = it.parentElement) {
      const color = numbers(getComputedStyle(it).backgroundColor)
      if (color[3] !== 0) return color
    }
    return [255, 255, 255]
  }
  const found = []
  const look = (it, what, color, ground, least) => {
    const ratio = contrast(numbers(color), ground)
    if (ratio < least) found.push(`${what} of ${it.outerHTML.slice(0, 80)}: ${ratio.toFixed(2)}`)
  }
  for (const it of document.querySelectorAll('body *')) {
    if (!it.checkVisibility({ visibilityProperty: true })) continue
    const style = getComputedStyle(it)
    const hasText = [...it.childNodes].some((node) => node.nodeType === Node.TEXT_NODE && node.data.trim())
    const isLarge = parseFloat(style.fontSize) >= 24 || (parseFloat(style.fontSize) >= 18.66 && style.fontWeight >= 700)
    if (hasText) look(it, 'text', style.color, behind(it), isLarge ? 3 : 4.5)
    if (it.matches('input, select, textarea, button')) {
      if (it.placeholder) look(it, 'placeholder', getComputedStyle(it, '::placeholder').color, behind(it), 4.5)
      if (it.type !== 'checkbox') look(it, 'edge', style.borderTopColor, behind(it.parentElement), 3)
    }
  }
  return found
}

// In the page: the controls that a screen reader could not name.
function nameless() {
  const hasName = (it) => it.labels?.length || it.getAttribute('aria-label') || it.textContent.trim() || it.value
  return [...document.querySelectorAll('a, button, input, select, textarea, summary')].filter((it) => it.type !== 'hidden' && !hasName(it)).map((it) => it.outerHTML)
}

async function byKeyboard(tab, place) {
  await tab.goto(url + place)
  await tab.evaluate(() => document.querySelectorAll('details').forEach((it) => { it.open = true }))
  const all = await tab.evaluate(() => [...document.querySelectorAll('a[href], button, input:not([type=hidden]), select, textarea, summary')].filter((it) => it.checkVisibility()).length)
  const stops = []
  for (let n = 0; n < Math.min(all, 60); n++) {
    await tab.keyboard.press('Tab')
    const at = await tab.evaluate(() => {
      const it = document.activeElement
      const style = getComputedStyle(it)
      const isSeen = style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) >= 1
      // A date has a stop for its day, its month and its year.
      return it === document.body ? null : { isSeen, tag: it.outerHTML.slice(0, 80), top: Math.round(it.getBoundingClientRect().top + scrollY) }
    })
    if (!at) break
    assert.ok(at.isSeen, `${place}: no focus is seen on ${at.tag}`)
    stops.push(at)
  }
  assert.ok(stops.length >= Math.min(all, 60), `${place}: ${stops.length} stops, and ${all} controls`)
  assert.match(stops[0].tag, /Skip to content/)
}

async function main() {
  fs.mkdirSync(pictures, { recursive: true })
  const browser = await chromium.launch({ executablePath: process.env.CHROMIUM || '/usr/bin/chromium', args: ['--no-sandbox'] })
  const list = async (what) => (await (await fetch(`${url}/api/${what}?limit=3`)).json())[what]
  const places = ['/', '/?new=week&page=pricing', '/visitors', '/visitors?q=nobody-is-called-so', '/deliveries', '/alerts', '/mappings', '/install', '/history', '/visitors/0']
  for (const company of await list('companies')) places.push(`/companies/${encodeURIComponent(company.key)}`)
  for (const visitor of await list('visitors')) places.push(`/visitors/${visitor.id}`)
  for (const [width, height] of [[1100, 760], [390, 844]]) {
    for (const colorScheme of ['light', 'dark']) {
      const tab = await browser.newPage({ viewport: { width, height }, colorScheme })
      const problems = []
      tab.on('pageerror', (error) => problems.push(`${error}`))
      for (const place of places) {
        await tab.goto(url + place)
        const said = `${place}, ${width} px, ${colorScheme}`
        const wide = () => tab.evaluate(() => [document.documentElement, ...document.querySelectorAll('.card')].some((it) => it.scrollWidth > it.clientWidth))
        assert.ok(!await wide(), `${said}: wider than the screen`)
        await tab.screenshot({ path: path.join(pictures, `${name}-${place.replace(/[^a-z0-9]+/gi, '_')}-${width}-${colorScheme}.png`), fullPage: true })
        await tab.evaluate(() => document.querySelectorAll('details').forEach((it) => { it.open = true }))
        assert.ok(!await wide(), `${said}: wider than the screen with all details open`)
        assert.deepStrictEqual(await tab.evaluate(tooFaint), [], said)
        assert.deepStrictEqual(await tab.evaluate(nameless), [], said)
      }
      assert.deepStrictEqual(problems, [])
      if (colorScheme === 'light') for (const place of places) await byKeyboard(tab, place)
      await tab.close()
    }
  }
  await browser.close()
}
main().catch((error) => {
  console.error(error)
  process.exit(1)
})
