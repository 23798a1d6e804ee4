import { createHash } from 'node:crypto'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'

type Descriptor = { mediaType: string; digest: string; size: number; [extra: string]: unknown }

const MANIFEST = 'application/vnd.oci.image.manifest.v1+json'
const INDEX = 'application/vnd.oci.image.index.v1+json'

const sha256 = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex')

/** A tar archive of one small file; only what readers insist on. */
const tarOf = (name: string, text: string): Buffer => {
  const header = Buffer.alloc(512)
  const put = (value: string, at: number): void => void header.write(value, at, 'latin1')
  put(name, 0)
  put('0000644\0', 100)
  put('0000000\0', 108)
  put('0000000\0', 116)
  put(`${text.length.toString(8).padStart(11, '0')}\0`, 124)
  put('00000000000\0', 136)
  put(' '.repeat(8), 148)
  put('0', 156)
  put('ustar\x0000', 257)
  put(
    `${header
      .reduce((sum, byte) => sum + byte, 0)
      .toString(8)
      .padStart(6, '0')}\0 `,
    148,
  )
  const body = Buffer.alloc(Math.ceil(text.length / 512) * 512)
  body.write(text)
  return Buffer.concat([header, body, Buffer.alloc(1024)])
}

/**
 * Writes an OCI layout with the images `one` and `two`, which share their first layer, and the index `both` of two
 * platforms. The bytes are the same each time.
 */
export const writeImages = (folder: string): void => {
  const blobs = join(folder, 'blobs', 'sha256')
  mkdirSync(blobs, { recursive: true })
  const put = (mediaType: string, bytes: Buffer): Descriptor => {
    writeFileSync(join(blobs, sha256(bytes)), bytes)
    return { mediaType, digest: `sha256:${sha256(bytes)}`, size: bytes.length }
  }
  const putJson = (mediaType: string, value: object): Descriptor => put(mediaType, Buffer.from(JSON.stringify(value)))
  const image = (name: string, architecture: string): Descriptor => {
    const tars = [tarOf('shared.txt', 'the shared layer\n'), tarOf(`${name}.txt`, `${name}\n`)]
    const layers = tars.map((tar) => put('application/vnd.oci.image.layer.v1.tar+gzip', gzipSync(tar)))
    const rootfs = { type: 'layers', diff_ids: tars.map((tar) => `sha256:${sha256(tar)}`) }
    const config = putJson('application/vnd.oci.image.config.v1+json', {
      architecture,
      os: 'linux',
      config: {},
      rootfs,
    })
    return putJson(MANIFEST, { schemaVersion: 2, mediaType: MANIFEST, config, layers })
  }
  const platforms = ['amd64', 'arm64'].map((architecture) => ({
    ...image(architecture, architecture),
    platform: { architecture, os: 'linux' },
  }))
  const both = putJson(INDEX, { schemaVersion: 2, mediaType: INDEX, manifests: platforms })
  const named = (descriptor: Descriptor, name: string): Descriptor => ({
    ...descriptor,
    annotations: { 'org.opencontainers.image.ref.name': name },
  })
  const manifests = [named(image('one', 'amd64'), 'one'), named(image('two', 'amd64'), 'two'), named(both, 'both')]
  writeFileSync(join(folder, 'oci-layout'), '{"imageLayoutVersion":"1.0.0"}')
  writeFileSync(join(folder, 'index.json'), JSON.stringify({ schemaVersion: 2, manifests }))
}
