// The function track-event in Node: Segment's own packages and the AWS SDK v3. What Node's runtime does around a handler in
// Lambda it does without, which flatters it.
const { SSMClient, GetParametersByPathCommand } = require('@aws-sdk/client-ssm')
const { SQSClient, SendMessageBatchCommand } = require('@aws-sdk/client-sqs')
const core = require.resolve('@segment/actions-core')
const { transform } = require(core.replace(/index\.js$/, 'mapping-kit/index.js'))
const koala = require(require.resolve('@segment/action-destinations').replace(/index\.js$/, 'destinations/koala/index.js')).default

const client = { region: process.env.AWS_REGION, endpoint: process.env.AWS_ENDPOINT_URL }
const ssm = new SSMClient(client)
// The server of the bench makes no checksums.
const sqs = new SQSClient({ ...client, md5: false })
const preset = koala.presets.find((it) => it.partnerAction === 'trackEvent') ?? koala.presets[0]
const action = koala.actions[preset.partnerAction]

async function parameters() {
  const { Parameters } = await ssm.send(new GetParametersByPathCommand({ Path: process.env.PARAMETER_PREFIX, Recursive: true, WithDecryption: true }))
  return Object.fromEntries(Parameters.map(({ Name, Value }) => [Name.split('/').pop(), Value]))
}

async function handler(event, settings) {
  const dead = []
  await Promise.all(event.Records.map(async (record) => {
    let event
    try {
      ({ event } = JSON.parse(record.body))
    } catch {
      return dead.push(record)
    }
    const payload = transform(preset.mapping, event)
    const request = (_url, { json }) => fetch(`${process.env.KOALA_URL}/web/projects/${settings['public-api-key']}/batch`, {
      method: 'POST', body: JSON.stringify(json), headers: { 'content-type': 'application/json', 'user-agent': 'koala' },
    }).then((response) => response.json())
    await action.perform(request, { payload, settings: { public_key: settings['public-api-key'] }, rawData: event })
  }))
  if (dead.length) {
    const Entries = dead.map(({ body }, id) => ({ Id: String(id), MessageBody: body }))
    await sqs.send(new SendMessageBatchCommand({ QueueUrl: process.env.DEAD_LETTER_QUEUE_URL, Entries }))
  }
  return { batchItemFailures: [] }
}

async function main() {
  const runtime = `http://${process.env.AWS_LAMBDA_RUNTIME_API}/2018-06-01/runtime/invocation`
  const loading = parameters()
  for (;;) {
    const next = await fetch(`${runtime}/next`)
    const answer = await handler(await next.json(), await loading)
    await fetch(`${runtime}/${next.headers.get('lambda-runtime-aws-request-id')}/response`, { method: 'POST', body: JSON.stringify(answer) })
  }
}
main().catch((error) => {
  console.error(error)
  process.exit(1)
})
