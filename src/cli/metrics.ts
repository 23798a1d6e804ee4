import { loadDeclared } from '../service/core.js'
import { metricsDictionary } from '../metrics/dictionary.js'
import { configNow } from './stores/open.js'
import { write } from './terminal/output.js'
import { printLine } from './terminal/print.js'

export const check = (): void => {
  const { rules, metrics } = loadDeclared(configNow())
  printLine(`${rules.events.size} events and ${metrics.length} metrics are declared; all definitions are valid`)
}

export const docs = (): void => {
  const { rules, metrics } = loadDeclared(configNow())
  write(metricsDictionary([...rules.events.values()], metrics))
}
