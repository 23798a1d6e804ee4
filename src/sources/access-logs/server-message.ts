/** The beginnings of lines that servers mix into their access log, above all in the output of a container. */
const MESSAGES = [
  // nginx, error log
  /^\d{4}\/\d\d\/\d\d \d\d:\d\d:\d\d \[[a-z]+\] /,
  // The image of nginx, on its start
  /^\/docker-entrypoint\.sh: /,
  // distribution and other Go programs, application log as text (logfmt) and as JSON
  /^time="?\d{4}-\d\d-\d\dT/,
  /^(?:INFO|WARN|ERRO|DEBU|FATA)\[\d{4}\] /,
  /^\{"/,
  // Envoy, application log, and the agent of Istio
  /^\[\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3}\]\[\d+\]\[[a-z]+\]/,
  /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z\t(?:debug|info|warn|error|fatal)\t/,
]

/** Whether a line of a server's output is empty, or a message instead of a request. */
export const isServerMessage = (line: string): boolean => line === '' || MESSAGES.some((pattern) => pattern.test(line))
