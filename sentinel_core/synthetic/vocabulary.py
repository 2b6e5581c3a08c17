"""The fixed tables of the generator's world: countries with their cities, and merchant categories.

Figures are plausible orders of magnitude for a euro-area card issuer, not statistics about real
places. Which foreign countries attackers work from is drawn from the seed, never written here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

IntArray = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

TRANSACTION_TYPES: Final = ("purchase", "online", "withdrawal", "bank_transfer")
PURCHASE, ONLINE, WITHDRAWAL, TRANSFER = range(4)
DEVICE_TYPES: Final = ("mobile", "desktop", "tablet")
MOBILE, DESKTOP, TABLET = range(3)
CARD_TYPES: Final = ("visa", "mastercard", "maestro", "amex")
CARD_TYPE_WEIGHTS: Final = (0.42, 0.38, 0.14, 0.06)


@dataclass(frozen=True, slots=True)
class Country:
    """A country: ISO code, offset from UTC in hours (no summer time), shares of customers and of trips, cities."""

    code: str
    utc_offset: float
    customers: float
    trips: float
    cities: tuple[tuple[str, float, float], ...]


COUNTRIES: Final = (
    Country("DE", 1, 0.21, 5, (("Berlin", 52.52, 13.40), ("Hamburg", 53.55, 9.99), ("Munich", 48.14, 11.58))),
    Country("FR", 1, 0.18, 6, (("Paris", 48.86, 2.35), ("Lyon", 45.76, 4.84), ("Marseille", 43.30, 5.37))),
    Country("IT", 1, 0.14, 7, (("Rome", 41.90, 12.50), ("Milan", 45.46, 9.19), ("Naples", 40.85, 14.27))),
    Country("ES", 1, 0.13, 8, (("Madrid", 40.42, -3.70), ("Barcelona", 41.39, 2.17), ("Seville", 37.39, -5.98))),
    Country("NL", 1, 0.08, 3, (("Amsterdam", 52.37, 4.90), ("Rotterdam", 51.92, 4.48))),
    Country("BE", 1, 0.06, 2, (("Brussels", 50.85, 4.35), ("Antwerp", 51.22, 4.40))),
    Country("AT", 1, 0.05, 3, (("Vienna", 48.21, 16.37), ("Graz", 47.07, 15.44))),
    Country("PT", 0, 0.05, 3, (("Lisbon", 38.72, -9.14), ("Porto", 41.16, -8.63))),
    Country("IE", 0, 0.04, 2, (("Dublin", 53.35, -6.26), ("Cork", 51.90, -8.47))),
    Country("FI", 2, 0.03, 1, (("Helsinki", 60.17, 24.94), ("Tampere", 61.50, 23.76))),
    Country("GR", 2, 0.03, 4, (("Athens", 37.98, 23.73), ("Thessaloniki", 40.64, 22.94))),
    Country("GB", 0, 0.0, 8, (("London", 51.51, -0.13), ("Manchester", 53.48, -2.24))),
    Country("CH", 1, 0.0, 5, (("Zurich", 47.38, 8.54), ("Geneva", 46.20, 6.14))),
    Country("SE", 1, 0.0, 3, (("Stockholm", 59.33, 18.07), ("Gothenburg", 57.71, 11.97))),
    Country("PL", 1, 0.0, 4, (("Warsaw", 52.23, 21.01), ("Krakow", 50.06, 19.94))),
    Country("TR", 3, 0.0, 6, (("Istanbul", 41.01, 28.98), ("Antalya", 36.90, 30.71))),
    Country("MA", 1, 0.0, 4, (("Casablanca", 33.57, -7.59), ("Marrakesh", 31.63, -7.99))),
    Country("US", -5, 0.0, 6, (("New York", 40.71, -74.01), ("Miami", 25.76, -80.19))),
    Country("CA", -5, 0.0, 3, (("Toronto", 43.65, -79.38), ("Montreal", 45.50, -73.57))),
    Country("BR", -3, 0.0, 2, (("Sao Paulo", -23.55, -46.63), ("Rio de Janeiro", -22.91, -43.17))),
    Country("TH", 7, 0.0, 3, (("Bangkok", 13.76, 100.50), ("Phuket", 7.88, 98.39))),
    Country("AE", 4, 0.0, 3, (("Dubai", 25.20, 55.27), ("Abu Dhabi", 24.45, 54.38))),
    Country("SG", 8, 0.0, 2, (("Singapore", 1.35, 103.82),)),
    Country("AU", 10, 0.0, 2, (("Sydney", -33.87, 151.21), ("Melbourne", -37.81, 144.96))),
)
N_COUNTRIES: Final = len(COUNTRIES)
COUNTRY_CODES: Final = tuple(country.code for country in COUNTRIES)
CITY_NAMES: Final = tuple(city[0] for country in COUNTRIES for city in country.cities)
CITY_COUNTRY: Final[IntArray] = np.repeat(np.arange(N_COUNTRIES), [len(c.cities) for c in COUNTRIES])
CITY_LATITUDE: Final = np.array([city[1] for country in COUNTRIES for city in country.cities])
CITY_LONGITUDE: Final = np.array([city[2] for country in COUNTRIES for city in country.cities])
CITIES_OF: Final[IntArray] = np.array([len(country.cities) for country in COUNTRIES])
FIRST_CITY: Final[IntArray] = np.cumsum(CITIES_OF) - CITIES_OF
UTC_OFFSET_US: Final[IntArray] = np.array([int(c.utc_offset * 3_600_000_000) for c in COUNTRIES])
CUSTOMER_SHARE: Final[Floats] = np.array([c.customers for c in COUNTRIES]) / sum(c.customers for c in COUNTRIES)
TRIP_WEIGHT: Final[Floats] = np.array([float(c.trips) for c in COUNTRIES])


@dataclass(frozen=True, slots=True)
class Category:
    """A merchant category.

    `share` of an average user's transactions, `median` amount and log-scale `sigma`, `online`
    share of its sales, whether its merchants sell everywhere (`worldwide`), and how much of the
    spending of a stolen card goes there (`theft`).
    """

    name: str
    share: float
    median: float
    sigma: float
    online: float
    worldwide: bool = False
    theft: float = 0.0


CATEGORIES: Final = (
    Category("grocery", 0.23, 27.0, 0.60, 0.05, theft=0.03),
    Category("restaurant", 0.14, 21.0, 0.55, 0.10, theft=0.02),
    Category("fuel", 0.06, 46.0, 0.35, 0.00, theft=0.03),
    Category("transport", 0.09, 6.5, 0.60, 0.30),
    Category("clothing", 0.07, 55.0, 0.60, 0.35, theft=0.12),
    Category("home", 0.05, 60.0, 0.70, 0.30, theft=0.03),
    Category("health", 0.04, 25.0, 0.60, 0.10),
    Category("entertainment", 0.05, 20.0, 0.60, 0.40, theft=0.03),
    Category("utilities", 0.02, 80.0, 0.40, 1.00),
    Category("electronics", 0.03, 130.0, 0.80, 0.50, theft=0.25),
    Category("luxury", 0.01, 200.0, 0.70, 0.20, theft=0.14),
    Category("travel", 0.02, 190.0, 0.70, 0.90, worldwide=True, theft=0.08),
    Category("digital_goods", 0.05, 9.0, 0.80, 1.00, worldwide=True, theft=0.07),
    Category("online_shopping", 0.07, 34.0, 0.80, 1.00, worldwide=True, theft=0.14),
    Category("subscription", 0.04, 9.0, 0.50, 1.00, worldwide=True),
    Category("cash", 0.05, 60.0, 0.60, 0.00, theft=0.06),
    Category("transfer", 0.05, 220.0, 1.00, 0.00),
)
N_CATEGORIES: Final = len(CATEGORIES)
CATEGORY_NAMES: Final = tuple(category.name for category in CATEGORIES)
CATEGORY: Final = {category.name: index for index, category in enumerate(CATEGORIES)}
CATEGORY_SHARE: Final[Floats] = np.array([c.share for c in CATEGORIES]) / sum(c.share for c in CATEGORIES)
LOG_MEDIAN: Final[Floats] = np.log([c.median for c in CATEGORIES])
SIGMA: Final[Floats] = np.array([c.sigma for c in CATEGORIES])
ONLINE_SHARE: Final[Floats] = np.array([c.online for c in CATEGORIES])
WORLDWIDE: Final = np.array([c.worldwide for c in CATEGORIES])
THEFT_SHARE: Final[Floats] = np.array([c.theft for c in CATEGORIES]) / sum(c.theft for c in CATEGORIES)
