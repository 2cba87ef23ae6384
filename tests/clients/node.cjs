// npm @segment/analytics-node, pointed at a set: node node.cjs <url> <write key>
const { Analytics } = require('@segment/analytics-node')

const [url, writeKey] = process.argv.slice(2)
const analytics = new Analytics({ host: url, writeKey, flushAt: 4, maxRetries: 3 })
analytics.on('error', (error) => { console.error(error); process.exitCode = 1 })

analytics.identify({ userId: 'u-node', messageId: 'node-identify', traits: { email: 'node@example.com', plan: 'team' } })
for (let n = 0; n < 10; n++) {
  analytics.track({ userId: 'u-node', messageId: `node-track-${n}`, event: 'Report Exported', properties: { n, email: 'node@example.com' } })
}
analytics.closeAndFlush({ timeout: 20000 })
