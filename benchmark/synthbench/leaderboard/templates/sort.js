"use strict";
// Sorts a table by the column whose heading is pressed: numbers descending first, cells without a value always last.
for (const table of document.querySelectorAll("table.sortable")) {
  const heads = [...table.tHead.rows[0].cells];
  heads.forEach((head, column) => head.querySelector("button").addEventListener("click", () => {
    const body = table.tBodies[0];
    const keys = new Map([...body.rows].map((row) => [row, row.cells[column].dataset.sort]));
    const numeric = [...keys.values()].every((key) => key === "" || Number.isFinite(Number(key)));
    const before = head.getAttribute("aria-sort");
    const ascending = before ? before === "descending" : !numeric;
    heads.forEach((other) => other.removeAttribute("aria-sort"));
    head.setAttribute("aria-sort", ascending ? "ascending" : "descending");
    const sign = ascending ? 1 : -1;
    body.append(...[...body.rows].sort((a, b) => {
      const [left, right] = [keys.get(a), keys.get(b)];
      if (left === "" || right === "") return (left === "") - (right === "");
      return sign * (numeric ? left - right : left.localeCompare(right));
    }));
  }));
}
