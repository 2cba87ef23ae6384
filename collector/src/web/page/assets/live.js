// Shows what changed without a reload: the server says that something did, and the page's main part is fetched again. Times turn
// into the reader's own zone. Without it the pages work as well.
'use strict'
let fetching = false, again = false

// What is opened and what has the focus stays so: by its key or its address, else by its place.
const keyed = (all, key) => {
  const seen = new Map()
  return all.map((it) => {
    const name = key(it)
    seen.set(name, (seen.get(name) ?? -1) + 1)
    return [`${name} ${seen.get(name)}`, it]
  })
}
const details = () => keyed([...document.querySelectorAll('main details')], (it) => it.dataset.key ?? '')
const focusable = () => keyed([...document.querySelectorAll('main a, main button, main summary')], (it) => it.getAttribute('href') ?? it.textContent)

// Something was typed or chosen that the server does not know yet.
const isFilledIn = () => [...document.querySelectorAll('main input, main select, main textarea')].some((it) => {
  if (it.options) return it.selectedIndex !== Math.max(0, [...it.options].findIndex((one) => one.defaultSelected))
  return it.checked !== it.defaultChecked || it.value !== it.defaultValue
})

async function renew() {
  if (fetching) return (again = true)
  // Nobody loses what is being typed or marked.
  if (document.querySelector('main[data-still], main input:focus, main select:focus, main textarea:focus')) return
  if (!getSelection().isCollapsed || isFilledIn()) return
  fetching = true
  try {
    const response = await fetch(location.href, { headers: { accept: 'text/html' } })
    // Signed out, or the session has ended: the way in is shown in its place.
    if (response.status === 401) return location.reload()
    if (response.ok) {
      if (isFilledIn()) return
      const page = new DOMParser().parseFromString(await response.text(), 'text/html')
      const open = new Map(details().map(([key, it]) => [key, it.open]))
      const focused = focusable().find(([, it]) => it === document.activeElement)?.[0]
      document.querySelector('main').replaceWith(document.adoptNode(page.querySelector('main')))
      details().forEach(([key, it]) => { it.open = open.get(key) ?? it.open })
      focusable().find(([key]) => key === focused)?.[1].focus({ preventScroll: true })
      localise()
    }
  } finally {
    fetching = false
  }
  if (again) { again = false; renew() }
}

function localise() {
  const zone = Intl.DateTimeFormat().resolvedOptions().timeZone
  const short = { year: 'numeric', month: 'short', day: 'numeric', hour: '2-digit', minute: '2-digit' }
  for (const time of document.querySelectorAll('time[datetime]')) {
    const at = new Date(time.dateTime)
    if (isNaN(at)) continue
    const whole = at.toLocaleString(undefined, { ...short, timeZoneName: 'short' })
    if (!('ago' in time.dataset)) time.textContent = at.toLocaleString(undefined, short)
    time.title = whole
  }
  const said = document.querySelector('[data-zone]')
  if (said && zone) said.textContent = `Times are in ${zone}; what was today, yesterday or on a day is by days in UTC.`
}

// A search is kept as an address: what was not filled in stands in none.
document.addEventListener('formdata', ({ target, formData }) => {
  if (target.method !== 'get') return
  for (const [name, value] of [...formData]) if (value === '') formData.delete(name)
})

// Where the server cannot say that something changed, it is asked, while somebody looks.
const ASK_EVERY = 30000
if (document.body.dataset.live === 'events') {
  new EventSource('/live').addEventListener('changed', renew)
} else {
  let asked = Date.now()
  const ask = () => {
    if (document.visibilityState !== 'visible' || Date.now() - asked < ASK_EVERY) return
    asked = Date.now()
    renew().catch(() => {})
  }
  setInterval(ask, 1000)
  document.addEventListener('visibilitychange', ask)
}
localise()
