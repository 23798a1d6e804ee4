import { createPublicKey, type KeyObject } from 'node:crypto'

/**
 * The RSA public key in PEM text: a public key, a certificate, or a private key whose public part is taken.
 * @throws TypeError when it is none or too short to trust.
 */
export const readPublicKey = (pem: string): KeyObject => {
  let key
  try {
    key = createPublicKey(pem)
  } catch {
    throw new TypeError('it holds no key or certificate in PEM form')
  }
  if (key.asymmetricKeyType !== 'rsa') throw new TypeError('it holds no RSA key; GitLab signs with RS256')
  if ((key.asymmetricKeyDetails?.modulusLength ?? 0) < 2048) throw new TypeError('its RSA key has fewer than 2048 bits')
  return key
}
