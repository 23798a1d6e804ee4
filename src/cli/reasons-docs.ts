import { OUTCOME_REASONS, reasonsWith, type Consequence } from '../events/outcome-reason.js'
import { markdownTable } from './terminal/markdown-table.js'
import { write } from './terminal/output.js'

/** What each consequence means, in the order of the documentation. */
const CONSEQUENCES: Record<Consequence, string> = {
  set_aside:
    '**Rejected events.** Tallyman cannot read or store the event. It does not count the event. It stores the event in the table\n`rejected_events`, with a detail and its harmless fields (id, time, action, repository, tag, digest, media type, size). Lists for clean-up\nleave out the repository of the event, or note the event ([Events that were set aside](inventory.md#what-is-not-known)):',
  user_not_counted: '**Events without a user.** Tallyman stores the event and counts its totals, but not its user:',
  ignored: '**Events that are not counted.** Tallyman stores the id of the event, and counts nothing:',
  in_no_pull: '**Requests in no pull.** The event counts, but its request is in no pull:',
}

/** Prints the tables of reasons for docs/operations.md. */
export const reasonsDocs = (): void => {
  const parts = Object.entries(CONSEQUENCES).flatMap(([consequence, meaning]) => [
    meaning,
    markdownTable([
      ['Reason', 'Cause', 'Remedy'],
      ...reasonsWith(consequence as Consequence).map((reason) => {
        const { cause, remedy } = OUTCOME_REASONS[reason]
        return [`\`${reason}\``, cause, remedy]
      }),
    ]),
  ])
  write(`${parts.join('\n\n')}\n`)
}
