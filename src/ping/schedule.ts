import { createHash } from 'node:crypto'

/**
 * When an installation sends its ping: a minute, hour and weekday derived from its uuid, so that installations spread over
 * the week. GitLab's derivation: the SHA-256 of the uuid and a word, read as one big number.
 * @returns a cron expression, as `44 10 * * 4`.
 */
export const pingCron = (uuid: string): string => {
  const minute = modulo(`${uuid}minute`, 60)
  const hour = modulo(`${uuid}hour`, 24)
  const weekday = modulo(uuid, 7)
  return `${minute} ${hour} * * ${weekday}`
}

const modulo = (text: string, divisor: number): number =>
  Number(BigInt(`0x${createHash('sha256').update(text).digest('hex')}`) % BigInt(divisor))
