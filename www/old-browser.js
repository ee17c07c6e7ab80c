// Runs only where JavaScript modules are unknown (attribute nomodule), so it is written in the
// language of such browsers: it shows why the page cannot do anything and what to do about it.
document.addEventListener("DOMContentLoaded", function () {
  var message = document.getElementById("old-browser");
  if (message) message.hidden = false;
});
