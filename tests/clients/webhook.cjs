// What Segment runs for its Webhooks (Actions) destination, npm @segment/action-destinations, with a shared secret, single and
// batched: node webhook.cjs <url> <shared secret>
const { Destination } = require('@segment/actions-core')
const definition = require(require.resolve('@segment/action-destinations').replace(/index\.js$/, 'destinations/webhook/index.js')).default

const [url, sharedSecret] = process.argv.slice(2)
const webhook = new Destination(definition)
const settings = {
  sharedSecret,
  subscription: {
    name: 'all', partnerAction: 'send', subscribe: 'type = "track" or type = "identify"',
    mapping: { url: `${url}/v1/segment`, method: 'POST', data: { '@path': '$.' }, enable_batching: true },
  },
}
const event = (kind, id, fields) => ({
  type: kind, messageId: id, userId: 'u-webhook', timestamp: '2026-11-20T09:00:00.000Z',
  receivedAt: '2026-11-20T09:00:01.000Z', context: { traits: { email: 'webhook@example.com' } }, ...fields,
})
const track = (id) => event('track', id, { event: 'Plan Änderung “Pro” 🚀', properties: { price: 12.5, url: 'https://a.example/?q=<b>' } })

async function main() {
  await webhook.onEvent(event('identify', 'webhook-identify', { traits: { email: 'webhook@example.com' } }), settings)
  await webhook.onEvent(track('webhook-track-single'), settings)
  const answers = await webhook.onBatch(Array.from({ length: 10 }, (_, n) => track(`webhook-track-${n}`)), settings)
  if (JSON.stringify(answers).includes('rror')) throw new Error(JSON.stringify(answers))
}
main().catch((error) => {
  console.error(error, error.response?.content)
  process.exit(1)
})
