// Segment's cloud-mode Koala destination on the events beside this file: microseconds an event, one JSON line.
//
//   mapping   the field mapping alone, of an event that is parsed
//   body      from the event's bytes to the request's body: parse, match both presets, map, check the schema, build the body
//   client    the same through the destination as a whole, with its HTTP client, whose requests a fetch of our own answers at once
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'

const require = createRequire(import.meta.url)
const core = require.resolve('@segment/actions-core')
const { transform } = require(core.replace(/index\.js$/, 'mapping-kit/index.js'))
const { validateSchema } = require(core.replace(/index\.js$/, 'schema-validation.js'))
const { fieldsToJsonSchema } = require(core.replace(/index\.js$/, 'destination-kit/fields-to-jsonschema.js'))
const { Destination } = require('@segment/actions-core')
const { parseFql, validate } = require('@segment/destination-subscriptions')
const definition = require(require.resolve('@segment/action-destinations').replace(/index\.js$/, 'destinations/koala/index.js')).default

const events = ['track', 'identify'].map((name) => readFileSync(new URL(`${name}.json`, import.meta.url), 'utf8').trim())
const presets = definition.presets.map((preset) => ({
  condition: parseFql(preset.subscribe),
  mapping: preset.mapping,
  action: definition.actions[preset.partnerAction],
  schema: fieldsToJsonSchema(definition.actions[preset.partnerAction].fields),
  key: preset.partnerAction,
}))
const settings = { public_key: 'pk_peer' }

let written = 0
const request = (_url, { json }) => {
  written += JSON.stringify(json).length
  return Promise.resolve()
}

async function body(bytes) {
  const event = JSON.parse(bytes)
  for (const { condition, mapping, action, schema, key } of presets) {
    if (!validate(condition, event)) continue
    const payload = transform(mapping, event)
    validateSchema(payload, schema, { schemaKey: `koala:${key}` })
    await action.perform(request, { payload, settings, rawData: event })
  }
}

async function measure(rounds, work) {
  for (let round = 0; round < rounds / 4; round++) await work(events[round % 2])
  const begun = process.hrtime.bigint()
  for (let round = 0; round < rounds; round++) await work(events[round % 2])
  return Number(process.hrtime.bigint() - begun) / 1000 / rounds
}

const parsed = events.map((event) => JSON.parse(event))
let turn = 0
const mapping = await measure(40000, () => transform(presets[turn % 2].mapping, parsed[turn++ % 2]))
const toBody = await measure(40000, body)
if (written === 0) throw new Error('the reference wrote no body')

let posted = 0
const fetching = require(core.replace(/index\.js$/, 'fetch.js'))
fetching.default = async () => {
  posted += 1
  return new fetching.Response('{"ok":true}', { status: 200 })
}
let client = null
try {
  const destination = new Destination(definition)
  const subscriptions = definition.presets.map((preset) => ({ ...preset, enabled: true }))
  client = await measure(8000, async (bytes) => {
    await destination.onEvent(JSON.parse(bytes), { ...settings, subscriptions })
    // Each answer is kept there, and the heap would grow with every event.
    destination.responses = []
  })
  if (posted === 0) client = null
} catch (error) {
  process.stderr.write(`the destination as a whole could not be measured: ${error.message}\n`)
}
console.log(JSON.stringify({ node: process.version, mapping, body: toBody, client }))
