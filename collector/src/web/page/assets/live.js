// Shows what changed without a reload: the server says that something did, and the page's main part is fetched anew.
// Without it the pages work as well.
'use strict'
const changes = new EventSource('/live')
let fetching = false, again = false
async function renew() {
  if (fetching) return (again = true)
  // Nobody loses what is being typed.
  if (document.querySelector('main[data-still], main input:focus, main select:focus, main textarea:focus')) return
  fetching = true
  try {
    const response = await fetch(location.href, { headers: { accept: 'text/html' } })
    if (response.ok) {
      const page = new DOMParser().parseFromString(await response.text(), 'text/html')
      const open = [...document.querySelectorAll('main details')].map((it) => it.open)
      document.querySelector('main').replaceWith(document.adoptNode(page.querySelector('main')))
      document.querySelectorAll('main details').forEach((it, at) => { it.open = open[at] })
    }
  } finally {
    fetching = false
  }
  if (again) { again = false; renew() }
}
changes.addEventListener('changed', renew)
