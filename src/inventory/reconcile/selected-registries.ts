import type { Registries, Registry } from '../../registries/registries.js'
import { UserError } from '../../runtime/user-error.js'

/** A registry has no address in the configuration. The message shows how to add one. */
class RegistryNotReadable extends UserError {
  override readonly kind = 'not-found'
}

/** The registries that can be read: those with an address. */
export const readableRegistries = (registries: Registries): Registry[] =>
  registries.list().filter(({ url }) => url !== undefined)

/**
 * The registries that a request selects: one by its name or an alias, or else all that can be read.
 * @throws RegistryNotReadable if there is none
 */
export const selectedRegistries = (registries: Registries, wanted: string | undefined): Registry[] => {
  const readable = readableRegistries(registries)
  if (readable.length === 0) {
    throw new RegistryNotReadable(
      'no registry has an address; add one to the configuration, as ' +
        'registries: { registry.example.com: { url: "https://registry.example.com" } }',
    )
  }
  if (wanted === undefined) return readable
  const registry = readable.find(({ name }) => name === registries.nameOf(wanted.toLowerCase()))
  if (!registry) {
    throw new RegistryNotReadable(
      `${wanted} is not a registry with a "url"; the registries with one are ${readable.map(({ name }) => name).join(', ')}. ` +
        'Name another in the configuration, under registries, with its url',
    )
  }
  return [registry]
}
