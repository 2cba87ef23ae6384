// What Segment's own validation (npm @segment/actions-core) makes of values for fields of the types string and object, required or
// not. Its output is kept as tests/vectors/coercion.jsonl: node coercion.cjs > …
const { Destination } = require('@segment/actions-core')

// An object as an event brings it, whose numbers are written in every form that JSON has.
const scalars = [
  null, true, false, 0, -0, 1, -1, 404, 5.0, 0.1, -0.5, 1.5e3, 1e21, 1e-7, 123456789012345680000, 0.30000000000000004, 2 ** 53,
  5e-324, 1.7976931348623157e308, '', ' ', '0', '1', 'false', 'true', 'null', 'undefined', 'a', 'Signed Up', ' padded ', '404',
  '1e3', '[1]', '{}', '{"a":1}', '2026-11-20T09:15:00.250Z', 'Grüße 🚀', '"quoted"', 'line\nbreak', '\u0000', 'x'.repeat(300),
]
const objects = [
  {}, { a: 1 }, { a: null }, { a: '' }, { a: { b: {} } }, { a: [] }, { length: 1, 0: 'x' }, { '': 1 }, { toString: 'x' }, { email: 'a@b.example', n: 5 },
]
const arrays = [
  [], [[]], [[[]]], [{}], [{ a: 1 }], [[{}]], [null, null], [null, 'a'], ['a', 'b'], [1, 2], ['', ''], [{}, {}], [[], []], [[1], [2]],
  ...scalars.map((value) => [value]), ...['a', 1, true, null, ''].map((value) => [[value]]), [['a', 'b']],
]
const values = [...scalars, ...objects, ...arrays]

// The reference keeps a compiled schema by the names of destination and action.
async function answer(type, required, value) {
  let payload
  const field = { label: 'Value', description: '', type, required }
  const destination = new Destination({
    name: `${type} ${required}`, mode: 'cloud',
    actions: { send: { title: 'Send', description: '', fields: { value: field }, perform: (_, data) => { payload = data.payload } } },
  })
  const subscription = { name: 's', partnerAction: 'send', subscribe: 'type = "track"', mapping: { value: { '@path': '$.properties.value' } } }
  try {
    await destination.onEvent({ type: 'track', event: 'A', properties: { value } }, { subscription })
  } catch {
    return { error: true }
  }
  return 'value' in payload ? { output: payload.value } : { absent: true }
}

async function main() {
  let id = 0
  for (const type of ['string', 'object']) {
    for (const required of [false, true]) {
      for (const value of values) {
        console.log(JSON.stringify({ id: `c${++id}`, type, required, value, ...(await answer(type, required, value)) }))
      }
    }
  }
}
main()
