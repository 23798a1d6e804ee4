import { createHash } from 'node:crypto'

/**
 * The time of an installation's ping: a minute, an hour and a weekday derived from its uuid, so that installations are spread over
 * the week. The derivation is GitLab's: the SHA-256 of the uuid and a word, read as one large number.
 * @returns a cron expression, for example `44 10 * * 4`
 */
export const pingCron = (uuid: string): string => {
  const minute = modulo(`${uuid}minute`, 60)
  const hour = modulo(`${uuid}hour`, 24)
  const weekday = modulo(uuid, 7)
  return `${minute} ${hour} * * ${weekday}`
}

const modulo = (text: string, divisor: number): number =>
  Number(BigInt(`0x${createHash('sha256').update(text).digest('hex')}`) % BigInt(divisor))
