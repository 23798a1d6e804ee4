/**
 * Waits for a promise with a time limit.
 * @throws the result of `late` after the time limit; the work itself continues
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
