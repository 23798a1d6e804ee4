export default async () => {
  await globalThis.stopShared()
}
