"""The error tree of the service. HTTP is out of scope: `api.problems` maps each class to a status and a code.

DigitsError
├── PictureError            the picture cannot be read or contains nothing to read
│   ├── UnreadablePicture     known format, truncated or corrupt content
│   ├── UnsupportedFormat     not an image, or an image format that is not accepted
│   ├── EmptyPicture          no bytes: no file was chosen
│   ├── PictureTooLarge       more pixels than allowed, or an extreme aspect ratio
│   └── NoInk                 blank picture
├── RequestError            the request around the picture is wrong, or is shed
│   ├── BodyTooLarge          body larger than the limit
│   ├── BodyTooSlow           body timeout: slow client
│   ├── BodyCompressed        body with a Content-Encoding
│   ├── TooManyPictures       batch larger than the limit
│   ├── Unauthorized          missing or unknown API key
│   ├── InvalidBody           form or JSON without the expected fields
│   ├── InvalidJson           malformed JSON
│   ├── UnknownParameter      query parameter that is nearly one of the service's
│   ├── NotAcceptable         no representation matches `Accept`
│   ├── Overloaded            load shedding: more work in flight than can be done in time
│   ├── NoSuchModel           the path names a model that is not served
│   └── NoSuchErrorPage       the path names a code that no problem has
├── InvalidPixels           array that is not in MNIST form
├── SettingsError           environment variable with an invalid value
├── ArtifactError           model file that is missing, corrupt or of another kind
├── NoSuchReport            no evaluation report on this model, or no such figure in it
└── WeightsError            view of the weights that does not exist
    ├── NoSuchLayer           layer index out of range
    ├── NoSuchWeights         index of an input or a unit out of range
    └── NotAPicture           layer whose inputs are no image, or window outside its units
"""


class DigitsError(Exception):
    """Base of all errors. The message is one sentence that the sender of the request can act on."""


class PictureError(DigitsError):
    """The picture cannot be classified."""


class UnreadablePicture(PictureError):
    """The format is known, but the content is truncated or corrupt."""


class UnsupportedFormat(PictureError):
    """The bytes are not an image, or an image in a format that is not accepted."""


class EmptyPicture(PictureError):
    """The file has no bytes, as a form sends it when no file was chosen."""


class PictureTooLarge(PictureError):
    """The header declares more pixels than allowed, or sides so unequal that scaling leaves less than one pixel."""


class NoInk(PictureError):
    """The picture is blank."""


class RequestError(DigitsError):
    """The request is invalid, or is not admitted."""


class BodyTooLarge(RequestError):
    """The body has more bytes than allowed."""


class BodyTooSlow(RequestError):
    """The body did not arrive before its timeout."""


class BodyCompressed(RequestError):
    """The body has a Content-Encoding."""


class TooManyPictures(RequestError):
    """The batch has more pictures than allowed."""


class Unauthorized(RequestError):
    """API keys are set, and the request carries none of them."""


class InvalidBody(RequestError):
    """The body does not contain the expected fields."""


class InvalidJson(RequestError):
    """The body begins like JSON, or is declared as JSON, but is malformed."""


class UnknownParameter(RequestError):
    """A query parameter is nearly one of the service's: it is misspelt."""


class NotAcceptable(RequestError):
    """The client accepts none of the available representations."""


class Overloaded(RequestError):
    """The request is shed: the queue is too slow, or the in-flight byte budget is exhausted."""


class NoSuchModel(RequestError):
    """No model of this name and version is served."""


class NoSuchErrorPage(RequestError):
    """No problem has this code."""


class InvalidPixels(DigitsError):
    """The array is not in MNIST form: wrong shape, or values out of range."""


class SettingsError(DigitsError):
    """A setting is invalid. The message names its environment variable."""


class ArtifactError(DigitsError):
    """The model file cannot be served."""


class NoSuchReport(DigitsError):
    """There is no report on the served model, or no figure of this name in it."""


class WeightsError(DigitsError):
    """This view of the weights does not exist."""


class NoSuchLayer(WeightsError):
    """The layer index is out of range."""


class NoSuchWeights(WeightsError):
    """The index of an input or of a unit of a layer is out of range."""


class NotAPicture(WeightsError):
    """These weights cannot be drawn as images."""
