export default () => {
  globalThis.removeTemplate()
}
