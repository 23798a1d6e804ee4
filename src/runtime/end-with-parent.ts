/**
 * Source at the start of a child Node.js process, which ends the child when this process ends for any reason: the child's standard
 * input then closes. A separate thread waits for that, because a statement of the embedded database blocks the event loop.
 */
export const END_WITH_PARENT = `
  const { Worker } = require('node:worker_threads')
  const END = "new (require('node:net').Socket)({ fd: 0 }).on('close', () => process.kill(process.pid, 'SIGKILL')).resume()"
  new Worker(END, { eval: true })
`
