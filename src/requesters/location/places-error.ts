import { UserError } from '../../runtime/user-error.js'

/** A file of countries or networks cannot be used. The message names the file and the expected format. */
export class PlacesError extends UserError {
  override readonly kind = 'setup'
}
