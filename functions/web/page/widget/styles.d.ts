/** The build makes text of a sheet that is imported, with what it imports itself. */
declare module "*.css" {
  const style: string;
  export default style;
}
