/** What clients are for, by definitions/clients.yml; `unknown` is what no rule knows. */
export const CLIENT_KINDS = ['runtime', 'builder', 'updater', 'scanner', 'mirror', 'cli', 'gitops', 'bot'] as const
export type ClientKind = (typeof CLIENT_KINDS)[number]
