// Boot: brings the page up again when a part of it did not come. Knows nothing else of it.
//
// A module that was refused once (a server that starts, a limit of requests) is refused for good;
// only the page as a whole can be asked for again.

const AGAIN_MS = 2000;

import("./app.js").catch((error) => {
  console.error(error);
  setTimeout(() => location.reload(), AGAIN_MS * (1 + Math.random()));
});
