// The API key, where the service asks for one: typed by a person, kept in this tab.

const NAME = "digits-key"

/** Returns { key(), newKey(refused) } for a dialog with a form that has a field `key`. */
export function makeKeys(dialog, storage = sessionStorage) {
  let asking = null

  function ask() {
    return new Promise((resolve) => {
      dialog.showModal()
      // Without a key nothing can be answered, so closing the dialog asks again.
      dialog.onclose = () => {
        const typed = dialog.querySelector("input").value.trim()
        if (!typed) return dialog.showModal()
        storage.setItem(NAME, typed)
        dialog.querySelector("input").value = ""
        resolve()
      }
    })
  }

  return {
    key: () => storage.getItem(NAME),
    async newKey(refused) {
      // Another question may have brought a new key in the meantime.
      if (storage.getItem(NAME) !== refused) return
      asking ??= ask().finally(() => {
        asking = null
      })
      await asking
    },
  }
}
