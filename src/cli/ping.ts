import { askOrOpen, configNow } from './open.js'
import { printJson } from './print.js'
import { CommandError } from './failure.js'

export const ping = async ({ send }: { send?: boolean }): Promise<void> => {
  const config = configNow()
  if (send) {
    const { sent, payload } = await askOrOpen(
      config,
      async (service) => (await service.post('/usage_data/service_ping')) as { sent: boolean; payload: unknown },
      async ({ pings }) => {
        const made = await pings.sendNow()
        return { sent: made.sent, payload: made.ping.payload }
      },
    )
    printJson(payload)
    if (!sent) throw new CommandError('the ping was made and kept, but sent nowhere: set TALLYMAN_PING_URL')
    return
  }
  printJson(
    await askOrOpen(
      config,
      async (service) => service.get('/usage_data/service_ping'),
      async ({ pings }) => (await pings.build()).payload,
    ),
  )
}
