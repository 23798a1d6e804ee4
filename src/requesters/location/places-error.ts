/** A file of places cannot be used. The message names it and says what is expected. */
export class PlacesError extends Error {}
