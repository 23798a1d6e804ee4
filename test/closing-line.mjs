/** Ends a run with one line that says how many tests ran, so that a run of none cannot look like a success. */
export default class ClosingLine {
  onRunComplete(_contexts, { numPassedTests, numFailedTests, numPendingTests, numTodoTests, numTotalTests }) {
    console.log(`${numPassedTests} passed, ${numFailedTests} failed, ${numPendingTests + numTodoTests} skipped`)
    this.failed = numTotalTests === 0
  }

  getLastError() {
    return this.failed ? new Error('no test ran') : undefined
  }
}
