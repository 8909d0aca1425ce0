// Hides the rows of a table that don't have the chosen values; without JavaScript, the form stays hidden and all rows show.
for (const block of document.querySelectorAll(".filtered")) {
  const form = block.querySelector(".filters");
  if (!form) continue;
  const rows = [...block.querySelectorAll("tbody tr")];
  const fields = [...form.querySelectorAll("[data-filter]")];
  const matches = (row, field) => {
    const wanted = field.value.trim();
    if (!wanted) return true;
    if (field.dataset.filter === "name") return row.cells[0].textContent.toLowerCase().includes(wanted.toLowerCase());
    return row.dataset[field.dataset.filter] === wanted;
  };
  const apply = () => {
    for (const row of rows) row.hidden = !fields.every((field) => matches(row, field));
    const count = rows.filter((row) => !row.hidden).length;
    form.querySelector("output").textContent = `${count} of ${rows.length} rows`;
  };
  const buttons = block.querySelectorAll("thead button");
  form.querySelector("[data-sort]").addEventListener("change", (event) => buttons[event.target.value]?.click());
  form.addEventListener("input", apply);
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("reset", () => setTimeout(apply));
  form.hidden = false;
  apply();
}
