/**
 * The method of an operation (Azure's REST API, "Operations on blobs"): Azure's logs do not contain it, but operations are named after
 * their methods.
 */
export const methodOfOperation = (operation: string): string => {
  if (HEAD_OPERATIONS.has(operation)) return 'HEAD'
  if (/^(?:Get|List)/.test(operation)) return 'GET'
  if (operation.startsWith('Delete')) return 'DELETE'
  if (operation.startsWith('Query') || operation.endsWith('Batch')) return 'POST'
  return operation.includes('Preflight') ? 'OPTIONS' : 'PUT'
}

/** Operations that answer with headers only. */
const HEAD_OPERATIONS: ReadonlySet<string> = new Set([
  'GetBlobProperties',
  'GetBlobMetadata',
  'GetContainerProperties',
  'GetContainerMetadata',
])
