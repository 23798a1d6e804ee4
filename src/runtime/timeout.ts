/**
 * Waits for a promise, but not for long.
 * @throws when the time is over, what `late` returns; the work goes on
 */
export const within = async <T>(
  milliseconds: number,
  work: Promise<T>,
  late = (): Error => new Error(`not within ${milliseconds} ms`),
): Promise<T> => {
  let timer: NodeJS.Timeout | undefined
  const tooLate = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      reject(late())
    }, milliseconds)
  })
  try {
    return await Promise.race([work, tooLate])
  } finally {
    clearTimeout(timer)
  }
}
