import { createHash } from 'node:crypto'

const OCI_IMAGE = 'application/vnd.oci.image.manifest.v1+json'
const SCHEMA_2 = 'application/vnd.docker.distribution.manifest.v2+json'

const sha256 = (text: string): string => `sha256:${createHash('sha256').update(text).digest('hex')}`

/** Uploads a blob to an open registry, in one piece. @returns its digest */
export const pushBlob = async (host: string, repository: string, text: string): Promise<string> => {
  const begun = await fetch(`http://${host}/v2/${repository}/blobs/uploads/`, { method: 'POST' })
  const digest = sha256(text)
  const place = new URL(begun.headers.get('location') ?? '', `http://${host}`)
  place.searchParams.set('digest', digest)
  const headers = { 'content-type': 'application/octet-stream' }
  const done = await fetch(place, { method: 'PUT', headers, body: text })
  if (!done.ok) throw new Error(`the registry answered ${done.status} to a blob`)
  return digest
}

/** An OCI artifact that refers to a manifest, with an empty config and one text as its layer. */
export const artifactOf = (subject: string, text: string): string =>
  JSON.stringify({
    schemaVersion: 2,
    mediaType: OCI_IMAGE,
    artifactType: 'application/vnd.example.sbom',
    config: { mediaType: 'application/vnd.oci.empty.v1+json', digest: sha256('{}'), size: 2 },
    layers: [{ mediaType: 'application/spdx+json', digest: sha256(text), size: text.length }],
    subject: { mediaType: SCHEMA_2, digest: subject, size: 1 },
    annotations: { k: 'v' },
  })

/** Puts a manifest under a tag, or under its own digest without one. @returns its digest */
export const putManifest = async (host: string, repository: string, text: string, tag?: string): Promise<string> => {
  const digest = sha256(text)
  const headers = { 'content-type': OCI_IMAGE }
  const path = `http://${host}/v2/${repository}/manifests/${tag ?? digest}`
  const done = await fetch(path, { method: 'PUT', headers, body: text })
  if (!done.ok) throw new Error(`the registry answered ${done.status} to a manifest`)
  return digest
}

/** Puts an artifact with its blobs. @returns its digest */
export const pushArtifact = async (host: string, repository: string, tag: string, subject: string): Promise<string> => {
  const text = 'hello blob'
  for (const blob of ['{}', text]) await pushBlob(host, repository, blob)
  return putManifest(host, repository, artifactOf(subject, text), tag)
}
