// Filters, order and copy buttons. The page can be read without any of it.
document.documentElement.classList.add("has-js");

const body = document.querySelector("table.requirements tbody");
const rows = body ? [...body.rows] : [];
const form = document.querySelector(".filters");

function chosen(name) {
  return new Set([...form.querySelectorAll(`input[name=${name}]:checked`)].map((box) => box.value));
}

function filter() {
  const words = form.querySelector("#words").value.toLowerCase().split(/\s+/).filter(Boolean);
  const verdicts = chosen("verdict");
  const levels = chosen("level");
  let shown = 0;
  for (const row of rows) {
    const data = row.dataset;
    const fits =
      levels.has(data.level) &&
      data.verdicts.split(" ").some((verdict) => verdicts.has(verdict)) &&
      words.every((word) => data.words.includes(word));
    row.hidden = !fits;
    shown += fits ? 1 : 0;
  }
  form.querySelector("#shown").value = shown === rows.length ? `${shown} shown` : `${shown} of ${rows.length} shown`;
}

function order() {
  const bySeconds = form.querySelector("#order").value === "seconds";
  const key = (row) => (bySeconds ? -Number(row.dataset.seconds) : Number(row.dataset.number));
  body.append(...rows.sort((one, other) => key(one) - key(other)));
}

form.addEventListener("input", filter);
form.querySelector("#order").addEventListener("change", order);
form.addEventListener("submit", (event) => event.preventDefault());
filter();

async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    const area = document.createElement("textarea");
    area.value = text;
    document.body.append(area);
    area.select();
    document.execCommand("copy");
    area.remove();
  }
}

document.addEventListener("click", async (event) => {
  const button = event.target.closest("button.copy");
  if (!button) return;
  await copy(button.parentElement.querySelector("code").textContent);
  button.textContent = "Copied";
  setTimeout(() => (button.textContent = "Copy"), 1500);
});

// A link into a closed card opens it.
function reveal() {
  const target = location.hash && document.getElementById(decodeURIComponent(location.hash.slice(1)));
  if (target && target.tagName === "DETAILS") {
    target.open = true;
    target.scrollIntoView();
  }
}
addEventListener("hashchange", reveal);
reveal();
