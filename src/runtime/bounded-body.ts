/**
 * Reads the body of an answer. It counts the decompressed bytes as they arrive: neither a false content-length nor a compressed
 * run of zeros can fill the memory.
 * @param largest bytes
 * @throws the result of `tooLarge` if the body has more bytes
 */
export const boundedBody = async (response: Response, largest: number, tooLarge: () => Error): Promise<Buffer> => {
  const chunks: Uint8Array[] = []
  let size = 0
  for await (const chunk of (response.body ?? []) as AsyncIterable<Uint8Array>) {
    size += chunk.length
    if (size > largest) throw tooLarge()
    chunks.push(chunk)
  }
  return Buffer.concat(chunks)
}
