/** Error messages of ioredis and Redis if the server does not answer or accepts no writes. */
const UNAVAILABLE =
  /Connection is closed|Command timed out|Stream isn't writeable|\b(?:LOADING|BUSY|CLUSTERDOWN|MASTERDOWN|READONLY|TRYAGAIN|NOREPLICAS|OOM|MISCONF|NOAUTH|WRONGPASS|NOPERM) /
/** Whether a plain error of ioredis, or an error reply of Redis, reports that Redis does not answer or accepts no writes. */
export const reportsNoRedis = ({ message }: Error): boolean => UNAVAILABLE.test(message)

/** The names of ioredis's errors for a server, or a cluster, that does not answer. */
const NO_ANSWER: ReadonlySet<string> = new Set(['MaxRetriesPerRequestError', 'ClusterAllFailedError'])
export const isWithoutRedis = ({ name }: Error): boolean => NO_ANSWER.has(name)

/** What such an error says of the last server that was tried, if anything. */
export const lastNodeMessage = (error: Error): string | undefined =>
  'lastNodeError' in error && error.lastNodeError instanceof Error ? error.lastNodeError.message : undefined

/** Whether Redis answered with an error. */
export const isReplyOfRedis = ({ name }: Error): boolean => name === 'ReplyError'
