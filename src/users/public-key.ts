import { createPublicKey, type KeyObject } from 'node:crypto'

/**
 * Reads an RSA public key from PEM text: a public key, a certificate, or a private key, of which the public part is used.
 * @throws TypeError if the text contains no such key, or the key is too short
 */
export const readPublicKey = (pem: string): KeyObject => {
  let key
  try {
    key = createPublicKey(pem)
  } catch {
    throw new TypeError('it contains no key or certificate in PEM form')
  }
  if (key.asymmetricKeyType !== 'rsa') throw new TypeError('it contains no RSA key; GitLab signs with RS256')
  if ((key.asymmetricKeyDetails?.modulusLength ?? 0) < 2048) throw new TypeError('its RSA key has fewer than 2048 bits')
  return key
}
