import { createHmac } from 'node:crypto'

/** 128 bits in base64url: with a million texts the chance of one collision is below 10^-26. */
const CHARACTERS = 22

/** HMAC-SHA256, 128 bits, base64url. Without the key, a text cannot be found from its hash by trying texts. */
export const keyedHash = (key: string, text: string): string =>
  createHmac('sha256', key).update(text).digest('base64url').slice(0, CHARACTERS)
