/** The purposes of clients, from definitions/clients.yml. A client that matches no rule is `unknown`. */
export const CLIENT_KINDS = ['runtime', 'builder', 'updater', 'scanner', 'mirror', 'cli', 'gitops', 'bot'] as const
export type ClientKind = (typeof CLIENT_KINDS)[number]
