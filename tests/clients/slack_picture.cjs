// A picture of a message as Slack shows it, for README: the blocks of a request to an incoming webhook, rendered by the rules of
// Slack's markup (https://docs.slack.dev/messaging/formatting-message-text), light and dark. node slack_picture.cjs <file of the body>
const fs = require('node:fs')
const path = require('node:path')
const { chromium } = require('playwright-core')

const body = JSON.parse(fs.readFileSync(process.argv[2], 'utf8'))
const pictures = path.join(__dirname, '../../target/screenshots')

// The text of a block: a link, bold, new lines; what is escaped stays so, as `&amp;`, `&lt;` and `&gt;` are HTML's own.
function markup(text) {
  return text
    .replace(/<(https?:[^|>]*)\|([^>]*)>/g, (_, url, label) => `<a href="${url.replace(/"/g, '&quot;')}">${label}</a>`)
    .replace(/\*([^*\n]+)\*/g, '<b>$1</b>')
    .replace(/\n/g, '<br>')
}

function block({ type, text, elements }) {
  if (type === 'section') return `<p>${markup(text.text)}</p>`
  if (type === 'context') return `<p class="context">${elements.map((it) => markup(it.text)).join(' ')}</p>`
  throw new Error(`no block of this type is known here: ${type}`)
}

const page = `<!doctype html><meta charset="utf-8"><title>#sales</title><style>
  :root { color-scheme: light dark; --ink: #1d1c1d; --faint: #616061; --ground: #fff; --line: #ddd; --link: #1264a3 }
  @media (prefers-color-scheme: dark) { :root { --ink: #d1d2d3; --faint: #ababad; --ground: #1a1d21; --line: #35373b; --link: #6cb5ee } }
  body { margin: 0; background: var(--ground); color: var(--ink); font: 15px/1.46 Lato, "Liberation Sans", Arial, sans-serif }
  header { padding: 10px 20px; border-bottom: 1px solid var(--line); font-weight: 900; font-size: 18px }
  main { display: grid; grid-template-columns: 36px 1fr; gap: 8px; padding: 16px 20px }
  .icon { width: 36px; height: 36px; border-radius: 4px; background: #2f6f4f; color: #fff; font: 700 20px/36px Arial, sans-serif; text-align: center }
  h1 { margin: 0; font-size: 15px } h1 small { color: var(--faint); font-weight: 400; font-size: 12px; margin-left: 6px }
  h1 i { font: 10px/1 Arial, sans-serif; padding: 1px 3px; border-radius: 2px; background: var(--line); color: var(--faint); margin-left: 4px; vertical-align: 1px }
  p { margin: 0 0 6px } .context { color: var(--faint); font-size: 13px } a { color: var(--link); text-decoration: none }
</style><header># sales</header><main><div class="icon">K</div><div><h1>Koala destination<i>APP</i><small>now</small></h1>${body.blocks.map(block).join('')}</div></main>`

async function main() {
  fs.mkdirSync(pictures, { recursive: true })
  const browser = await chromium.launch({ executablePath: process.env.CHROMIUM || '/usr/bin/chromium', args: ['--no-sandbox'] })
  for (const colorScheme of ['light', 'dark']) {
    const tab = await browser.newPage({ viewport: { width: 720, height: 300 }, colorScheme })
    await tab.setContent(page)
    await tab.setViewportSize({ width: 720, height: await tab.evaluate(() => document.documentElement.scrollHeight) })
    const devtools = await tab.context().newCDPSession(tab)
    const height = await tab.evaluate(() => Math.ceil(document.querySelector('main').getBoundingClientRect().bottom))
    const clip = { x: 0, y: 0, width: 720, height, scale: 1 }
    const { data } = await devtools.send('Page.captureScreenshot', { format: 'webp', quality: 90, clip })
    fs.writeFileSync(path.join(pictures, `slack${colorScheme === 'dark' ? '-dark' : ''}.webp`), Buffer.from(data, 'base64'))
    await tab.screenshot({ path: path.join(pictures, `slack-${colorScheme}.png`) })
    await tab.close()
  }
  await browser.close()
}
main().catch((error) => {
  console.error(error)
  process.exit(1)
})
