import { createHash } from 'node:crypto'

export const OCI_IMAGE = 'application/vnd.oci.image.manifest.v1+json'
export const OCI_INDEX = 'application/vnd.oci.image.index.v1+json'
export const OCI_CONFIG = 'application/vnd.oci.image.config.v1+json'

export const digestOf = (bytes: string | Buffer, algorithm = 'sha256'): string =>
  `${algorithm}:${createHash(algorithm).update(bytes).digest('hex')}`

/** A manifest that no client made, and its digest. */
export const aManifest = (fields: object): { digest: string; bytes: string } => {
  const bytes = JSON.stringify({ schemaVersion: 2, ...fields })
  return { bytes, digest: digestOf(bytes) }
}

export const descriptor = (name: string, mediaType = 'application/octet-stream', more: object = {}): object => ({
  mediaType,
  digest: digestOf(name),
  size: name.length,
  ...more,
})

export const anImage = (name: string, fields: object = {}): { digest: string; bytes: string } =>
  aManifest({ config: descriptor(`${name} config`, OCI_CONFIG), layers: [descriptor(`${name} layer`)], ...fields })
