import type { RequestSource } from '../../events/registry-request.js'

/** The source of all requests in segments, and so of their outcomes. No live request has it. */
export const LOG_SOURCE = 'access_log' satisfies RequestSource
