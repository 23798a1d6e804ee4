import { asOf } from '../inventory/model/as-of.js'
import type { Core } from '../service/core.js'
import { CommandError } from './terminal/failure.js'
import { NO_SUMMARY } from './no-summary.js'
import { askOrOpen, configNow } from './stores/open.js'
import { printJson, printNotes } from './terminal/print.js'
import type { ServiceClient } from './stores/service-client.js'

/** A payload, and whether there is a summary of the inventory for its metrics. */
type BuiltPing = { payload: unknown; isSummarized: boolean }

export const ping = async ({ send }: { send?: boolean }): Promise<void> => {
  const { sent, ...made } = await askOrOpen(configNow(), send ? sendBy : printBy, send ? sendFrom : printFrom)
  printJson(made.payload)
  if (!made.isSummarized && lacksInventory(made.payload)) printNotes([NO_SUMMARY])
  if (send && !sent) throw new CommandError('the ping was built and stored, but not sent: set TALLYMAN_PING_URL')
}

const sendBy = async (service: ServiceClient): Promise<BuiltPing & { sent: boolean }> => {
  const { sent, payload } = (await service.post('/usage_data/service_ping')) as { sent: boolean; payload: unknown }
  return { sent, payload, isSummarized: await isSummarizedBy(service, payload) }
}

const printBy = async (service: ServiceClient): Promise<BuiltPing & { sent: boolean }> => {
  const payload = await service.get('/usage_data/service_ping')
  return { sent: false, payload, isSummarized: await isSummarizedBy(service, payload) }
}

const sendFrom = async ({ pings, stores }: Core): Promise<BuiltPing & { sent: boolean }> => {
  const { sent, ping: made } = await pings.sendNow()
  return { sent, payload: made.payload, isSummarized: (await asOf(stores.database.sql)) !== null }
}

const printFrom = async ({ pings, stores }: Core): Promise<BuiltPing & { sent: boolean }> => {
  const { payload } = await pings.build()
  return { sent: false, payload, isSummarized: (await asOf(stores.database.sql)) !== null }
}

/** Requests the totals of the inventory only if the payload lacks them. */
const isSummarizedBy = async (service: ServiceClient, payload: unknown): Promise<boolean> =>
  !lacksInventory(payload) || ((await service.get('/inventory/totals')) as { as_of: string | null }).as_of !== null

/** Whether a metric of the inventory is -1. */
const lacksInventory = (payload: unknown): boolean => {
  const { counts = {} } = payload as { counts?: Record<string, unknown> }
  return Object.entries(counts).some(([name, value]) => name.startsWith('inventory_') && value === -1)
}
