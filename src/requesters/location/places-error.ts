import { UserError } from '../../runtime/user-error.js'

/** A file of places cannot be used. The message names it and says what is expected. */
export class PlacesError extends UserError {
  override readonly kind = 'setup'
}
